;; Computes for some milliseconds and prints what came of it, in eight letters.
;; Expected: succeeded; stdout is "aacokncb\n", always: its neighbours are no business of its.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 24) "\n")
  (func (export "_start") (local $left i32) (local $sum i32) (local $at i32)
    (local.set $left (i32.const 3000000))
    (loop $more
      (local.set $sum
        (i32.add (i32.mul (local.get $sum) (i32.const 1664525)) (i32.const 1013904223)))
      (local.set $sum (i32.xor (local.get $sum) (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $more (local.get $left)))
    (local.set $at (i32.const 16))
    (loop $next
      (i32.store8 (local.get $at)
        (i32.add (i32.const 97) (i32.and (local.get $sum) (i32.const 15))))
      (local.set $sum (i32.shr_u (local.get $sum) (i32.const 4)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 24))))
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 9))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
