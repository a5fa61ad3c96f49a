;; Tries to accept from, receive from, send to and shut down every descriptor that it may have.
;; Expected: succeeded, for none of them is a socket; else exited with the number of one that is.
(module
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_recv"
    (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_send" (func $send (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_shutdown" (func $shutdown (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $denied (param $fd i32) (param $error i32)
    (if (i32.eqz (local.get $error)) (then (call $proc_exit (i32.add (local.get $fd) (i32.const 1))))))
  (func (export "_start") (local $fd i32)
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 16))
    (loop $next
      (call $denied (local.get $fd) (call $accept (local.get $fd) (i32.const 0) (i32.const 64)))
      (call $denied (local.get $fd)
        (call $recv (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 64) (i32.const 68)))
      (call $denied (local.get $fd)
        (call $send (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 64)))
      (call $denied (local.get $fd) (call $shutdown (local.get $fd) (i32.const 3)))
      (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $fd) (i32.const 64))))))
