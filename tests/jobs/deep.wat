;; Makes a directory in a directory in a directory, twenty thousand deep in /out (descriptor 4), with long names.
;; Expected: scratch-full, when it is measured or at the end: nothing that deep can be looked after.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory"
    (func $path_create_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $check (param $error i32)
    (if (local.get $error) (then (call $proc_exit (local.get $error)))))
  (func (export "_start") (local $left i32) (local $dir i32) (local $inner i32)
    (memory.fill (i32.const 64) (i32.const 110) (i32.const 255))
    (local.set $dir (i32.const 4))
    (local.set $left (i32.const 20000))
    (loop $deeper
      (call $check
        (call $path_create_directory (local.get $dir) (i32.const 64) (i32.const 255)))
      (call $check
        (call $path_open (local.get $dir) (i32.const 0) (i32.const 64) (i32.const 255)
          (i32.const 2) (i64.const 8704) (i64.const 8704) (i32.const 0) (i32.const 24)))
      (local.set $inner (i32.load (i32.const 24)))
      (if (i32.ne (local.get $dir) (i32.const 4)) (then (drop (call $fd_close (local.get $dir)))))
      (local.set $dir (local.get $inner))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $deeper (local.get $left)))))
