;; Leaves a result in /out (descriptor 4) that is larger than a result may be.
;; Expected: output-limit.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 64) "result.json")
  (func (export "_start")
    (memory.fill (i32.const 1024) (i32.const 49) (i32.const 70000))
    (if (call $path_open (i32.const 4) (i32.const 0) (i32.const 64) (i32.const 11)
        (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24))
      (then unreachable))
    (i32.store (i32.const 32) (i32.const 1024))
    (i32.store (i32.const 36) (i32.const 70000))
    (if (call $fd_write (i32.load (i32.const 24)) (i32.const 32) (i32.const 1) (i32.const 40))
      (then unreachable))))
