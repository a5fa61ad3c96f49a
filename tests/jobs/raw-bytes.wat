;; Writes bytes that are no text: zero, what is not UTF-8, a terminal's control codes, and what looks like another task's line.
;; Expected: succeeded; stdout is exactly these bytes.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\00\ff\fe\80\1b[2J\1b]0;x\07\n[7] not task seven\r\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 35))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
