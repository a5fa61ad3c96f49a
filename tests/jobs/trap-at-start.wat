;; Its data does not fit its memory, so it traps before its first instruction.
;; Expected: trapped, kind "memory-out-of-bounds".
(module
  (memory (export "memory") 1)
  (data (i32.const 65535) "no room")
  (func (export "_start")))
