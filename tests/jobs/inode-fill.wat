;; Makes empty files in /scratch (descriptor 5) until it is told that it may not.
;; Expected: scratch-full.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  ;; Eight letters at 64: the number of the file, a letter for each four bits.
  (func $name (param $number i32) (local $at i32)
    (local.set $at (i32.const 64))
    (loop $next
      (i32.store8 (local.get $at)
        (i32.add (i32.const 97) (i32.and (local.get $number) (i32.const 15))))
      (local.set $number (i32.shr_u (local.get $number) (i32.const 4)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 72)))))
  (func (export "_start") (local $number i32) (local $error i32)
    (loop $more
      (call $name (local.get $number))
      (local.set $error
        (call $path_open (i32.const 5) (i32.const 0) (i32.const 64) (i32.const 8)
          (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24)))
      (if (local.get $error) (then (call $proc_exit (local.get $error))))
      (drop (call $fd_close (i32.load (i32.const 24))))
      (local.set $number (i32.add (local.get $number) (i32.const 1)))
      (br $more))))
