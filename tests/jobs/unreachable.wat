;; Traps three calls deep.
;; Expected: trapped, kind "unreachable", backtrace $inner, $middle, _start.
(module $unreachable
  (func $inner unreachable)
  (func $middle (call $inner))
  (func $start (export "_start") (call $middle)))
