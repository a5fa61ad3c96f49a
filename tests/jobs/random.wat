;; Asks for 100 MiB of random bytes at once, then for one beyond its memory.
;; Expected: trapped, kind "memory-out-of-bounds", after the first was given.
(module
  (import "wasi_snapshot_preview1" "random_get"
    (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1700)
  (data (i32.const 16) "given\n")
  (func (export "_start")
    (if (call $random_get (i32.const 65536) (i32.const 104857600)) (then (return)))
    ;; All zero is not random.
    (if (i64.eqz (i64.load (i32.const 104923128))) (then (return)))
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 6))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (drop (call $random_get (i32.const 111411199) (i32.const 2)))))
