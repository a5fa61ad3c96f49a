;; Makes a file in /out (descriptor 4) and fails before it has written it.
;; Expected: trapped, kind "unreachable"; nothing is published.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "half")
  (func (export "_start")
    (if (call $path_open (i32.const 4) (i32.const 0) (i32.const 64) (i32.const 4)
        (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24))
      (then (return)))
    unreachable))
