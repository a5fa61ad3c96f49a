;; Does by its index (STINT_TASK_INDEX) what tasks of an array do: with 3 as last digit prints
;; the index, with 5 returns it as the result, with 7 fails with code 3, with 9 leaves a file
;; in /scratch; else nothing.
;; Expected: exited with code 3 for every tenth task, succeeded for the rest.
(module
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get"
    (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get"
    (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 8)
  (data (i32.const 64) "STINT_TASK_INDEX=")
  (data (i32.const 96) "/out")
  (data (i32.const 100) "/scr")
  (data (i32.const 128) "result.json")
  (func $is_index (param $text i32) (result i32) (local $i i32)
    (loop $next
      (if (i32.ne
            (i32.load8_u (i32.add (local.get $text) (local.get $i)))
            (i32.load8_u offset=64 (local.get $i)))
        (then (return (i32.const 0))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 17))))
    (i32.const 1))
  ;; The directory whose name begins with the four bytes at $name.
  (func $directory (param $name i32) (result i32) (local $fd i32)
    (local.set $fd (i32.const 3))
    (loop $next
      (if (call $fd_prestat_get (local.get $fd) (i32.const 8)) (then unreachable))
      (drop (call $fd_prestat_dir_name (local.get $fd) (i32.const 32) (i32.load (i32.const 12))))
      (if (i32.eq (i32.load (i32.const 32)) (i32.load (local.get $name)))
        (then (return (local.get $fd))))
      (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
      (br $next))
    unreachable)
  (func $write (param $fd i32) (param $text i32) (param $len i32)
    (i32.store (i32.const 0) (local.get $text))
    (i32.store (i32.const 4) (local.get $len))
    (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func $write_file (param $dir i32) (param $text i32) (param $len i32)
    (if (call $path_open (call $directory (local.get $dir)) (i32.const 0) (i32.const 128) (i32.const 11)
          (i32.const 9) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24))
      (then unreachable))
    (call $write (i32.load (i32.const 24)) (local.get $text) (local.get $len)))
  (func (export "_start") (local $pointer i32) (local $text i32) (local $len i32) (local $digit i32)
    ;; Pointers from 65536 on, text from 131072 on.
    (drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
    (drop (call $environ_get (i32.const 65536) (i32.const 131072)))
    (local.set $pointer (i32.const 65536))
    (block $found
      (loop $next
        (local.set $text (i32.load (local.get $pointer)))
        (br_if $found (call $is_index (local.get $text)))
        (local.set $pointer (i32.add (local.get $pointer) (i32.const 4)))
        (br $next)))
    (local.set $text (i32.add (local.get $text) (i32.const 17)))
    (loop $more
      (local.set $digit (i32.load8_u (i32.add (local.get $text) (local.get $len))))
      (local.set $len (i32.add (local.get $len) (i32.const 1)))
      (br_if $more (i32.load8_u (i32.add (local.get $text) (local.get $len)))))
    (if (i32.eq (local.get $digit) (i32.const 51))
      (then (call $write (i32.const 1) (local.get $text) (local.get $len))))
    (if (i32.eq (local.get $digit) (i32.const 53))
      (then (call $write_file (i32.const 96) (local.get $text) (local.get $len))))
    (if (i32.eq (local.get $digit) (i32.const 55))
      (then (call $proc_exit (i32.const 3))))
    (if (i32.eq (local.get $digit) (i32.const 57))
      (then (call $write_file (i32.const 100) (local.get $text) (local.get $len))))))
