;; A library: nothing to enter it by.
;; Expected: refused at submit.
(module
  (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1))))
