;; Writes 20 MiB to stdout, more than a node keeps of a stream (16 MiB).
;; Expected: succeeded; the first 16 MiB are kept, the rest is counted as dropped.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "_start") (local $left i32)
    (memory.fill (i32.const 65536) (i32.const 46) (i32.const 1048576))
    (i32.store8 (i32.const 1114111) (i32.const 10))
    (i32.store (i32.const 0) (i32.const 65536))
    (i32.store (i32.const 4) (i32.const 1048576))
    (local.set $left (i32.const 20))
    (loop $more
      (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
        (then unreachable))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $more (local.get $left)))))
