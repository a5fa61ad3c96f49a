;; Writes 10 GiB to stdout without a line break, and then its last words to stderr.
;; Expected: succeeded; 16 MiB are kept, the beginning and the end, and the rest is counted.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 65)
  (data (i32.const 16) "that was all\n")
  (func $write (param $fd i32) (param $at i32) (param $len i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $len))
    (loop $more
      (if (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))
        (then unreachable))
      ;; A host may take less than it is given.
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 8))))
      (i32.store (i32.const 4) (i32.sub (i32.load (i32.const 4)) (i32.load (i32.const 8))))
      (br_if $more (i32.load (i32.const 4)))))
  (func (export "_start") (local $left i32)
    (memory.fill (i32.const 65536) (i32.const 46) (i32.const 4194304))
    (local.set $left (i32.const 2560))
    (loop $again
      (call $write (i32.const 1) (i32.const 65536) (i32.const 4194304))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left)))
    (call $write (i32.const 2) (i32.const 16) (i32.const 13))))
