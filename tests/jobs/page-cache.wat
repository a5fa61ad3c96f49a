;; Writes 256 MiB to a file of /scratch (descriptor 5), from a mebibyte of memory, over and over the same 32 MiB.
;; Expected under a memory limit of 8 MiB: succeeded. What the kernel caches of a file is given back, not killed for.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite"
    (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 64) "big")
  (func (export "_start") (local $at i64) (local $left i32)
    (if (call $path_open (i32.const 5) (i32.const 0) (i32.const 64) (i32.const 3)
        (i32.const 1) (i64.const 68) (i64.const 0) (i32.const 0) (i32.const 24))
      (then unreachable))
    (i32.store (i32.const 32) (i32.const 65536))
    (i32.store (i32.const 36) (i32.const 1048576))
    (local.set $left (i32.const 256))
    (loop $more
      (if (call $fd_pwrite (i32.load (i32.const 24)) (i32.const 32) (i32.const 1)
          (i64.shl (i64.extend_i32_u (i32.and (local.get $left) (i32.const 31))) (i64.const 20))
          (i32.const 40))
        (then unreachable))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $more (local.get $left)))))
