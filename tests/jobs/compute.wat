;; Looks at its memory without end, and calls nobody.
;; Expected: deadline(attempt), by a trap, or cancelled.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $for_ever (br_if $for_ever (i32.eqz (i32.load (i32.const 0)))))))
