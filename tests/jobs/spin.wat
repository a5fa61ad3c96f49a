;; Loops without end.
;; Expected: deadline(attempt), or cancelled.
(module
  (func (export "_start") (loop $for_ever (br $for_ever))))
