;; Does nothing.
;; Expected: succeeded.
(module (func (export "_start")))
