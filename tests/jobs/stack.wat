;; Calls itself without end.
;; Expected: trapped, kind "stack-overflow".
(module
  (func $deeper (export "_start") (call $deeper)))
