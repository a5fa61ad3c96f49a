;; Opens a file of /scratch (descriptor 5) and moves it onto one descriptor, a hundred thousand times.
;; Expected: succeeded: what is moved onto is closed.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber"
    (func $fd_renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "file")
  (func $open (param $at i32) (local $error i32)
    (local.set $error
      (call $path_open (i32.const 5) (i32.const 0) (i32.const 64) (i32.const 4)
        (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (local.get $at)))
    (if (local.get $error) (then (call $proc_exit (local.get $error)))))
  (func (export "_start") (local $error i32) (local $left i32)
    (call $open (i32.const 24))
    (local.set $left (i32.const 100000))
    (loop $more
      (call $open (i32.const 28))
      (local.set $error
        (call $fd_renumber (i32.load (i32.const 28)) (i32.load (i32.const 24))))
      (if (local.get $error) (then (call $proc_exit (local.get $error))))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $more (local.get $left)))))
