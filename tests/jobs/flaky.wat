;; Fails with code 75 on its first and second try (STINT_TRY), succeeds from the third on.
;; Expected with two retries: succeeded after three attempts, the first two exited with 75; stdout of the third "third try\n".
;; Without STINT_TRY it exits with 64.
(module
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get"
    (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 8)
  (data (i32.const 32) "STINT_TRY=")
  (data (i32.const 48) "third try\n")
  (func $is_try (param $text i32) (result i32) (local $i i32)
    (loop $next
      (if (i32.ne
            (i32.load8_u (i32.add (local.get $text) (local.get $i)))
            (i32.load8_u offset=32 (local.get $i)))
        (then (return (i32.const 0))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 10))))
    (i32.const 1))
  (func (export "_start") (local $left i32) (local $pointer i32) (local $text i32)
    ;; Pointers from 65536 on, text from 131072 on.
    (drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
    (drop (call $environ_get (i32.const 65536) (i32.const 131072)))
    (local.set $left (i32.load (i32.const 0)))
    (local.set $pointer (i32.const 65536))
    (block $none
      (loop $next
        (br_if $none (i32.eqz (local.get $left)))
        (local.set $text (i32.load (local.get $pointer)))
        (if (call $is_try (local.get $text))
          (then
            ;; One digit is all there is to see: "1" and "2" with nothing behind fail.
            (if (i32.and
                  (i32.lt_u (i32.load8_u offset=10 (local.get $text)) (i32.const 51))
                  (i32.eqz (i32.load8_u offset=11 (local.get $text))))
              (then (call $proc_exit (i32.const 75))))
            (i32.store (i32.const 0) (i32.const 48))
            (i32.store (i32.const 4) (i32.const 10))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (return)))
        (local.set $pointer (i32.add (local.get $pointer) (i32.const 4)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next)))
    (call $proc_exit (i32.const 64))))
