;; Throws an exception that nobody catches.
;; Expected: trapped, kind "uncaught-exception"; compiled in engine profile "exceptions".
(module
  (tag $t (param i32))
  (func (export "_start") (throw $t (i32.const 1))))
