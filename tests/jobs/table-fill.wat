;; Fills a table of a million elements again and again.
;; Expected: deadline(attempt).
(module
  (table $t 1000000 funcref)
  (func (export "_start")
    (loop $again
      (table.fill $t (i32.const 0) (ref.null func) (i32.const 1000000))
      (br $again))))
