;; Adds an f32 to an i64: a type error inside a function, which only a compiler sees.
;; Expected: accepted at submit, then compile-failed.
(module
  (func (export "_start")
    (drop (i32.add (i64.const 1) (f32.const 2)))))
