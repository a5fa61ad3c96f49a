;; Writes how many entries its input directory has, in decimal, with a new line.
(module
  (import "wasi_snapshot_preview1" "fd_readdir"
    (func $list (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  (func (export "_start")
    (local $cookie i64) (local $count i32) (local $at i32) (local $end i32) (local $digit i32)
    (loop $more
      ;; The directories of a guest are /in, /out, /scratch and then its inputs: this is the first.
      (if (call $list (i32.const 6) (i32.const 65536) (i32.const 65536) (local.get $cookie) (i32.const 16))
        (then (call $exit (i32.const 9))))
      (local.set $at (i32.const 65536))
      (local.set $end (i32.add (i32.const 65536) (i32.load (i32.const 16))))
      (block $done
        (loop $entry
          ;; An entry that is cut off comes again: 24 bytes, and a name.
          (br_if $done (i32.gt_u (i32.add (local.get $at) (i32.const 24)) (local.get $end)))
          (br_if $done
            (i32.gt_u
              (i32.add (i32.add (local.get $at) (i32.const 24)) (i32.load offset=16 (local.get $at)))
              (local.get $end)))
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (local.set $cookie (i64.load (local.get $at)))
          (local.set $at
            (i32.add (i32.add (local.get $at) (i32.const 24)) (i32.load offset=16 (local.get $at))))
          (br $entry)))
      (br_if $more (i32.eq (i32.load (i32.const 16)) (i32.const 65536))))
    ;; Without `.` and `..`, written from its last digit on.
    (local.set $count (i32.sub (local.get $count) (i32.const 2)))
    (local.set $digit (i32.const 1000))
    (i32.store8 (i32.const 1000) (i32.const 10))
    (loop $digits
      (local.set $digit (i32.sub (local.get $digit) (i32.const 1)))
      (i32.store8 (local.get $digit)
        (i32.add (i32.const 48) (i32.rem_u (local.get $count) (i32.const 10))))
      (local.set $count (i32.div_u (local.get $count) (i32.const 10)))
      (br_if $digits (local.get $count)))
    (i32.store (i32.const 0) (local.get $digit))
    (i32.store (i32.const 4) (i32.sub (i32.const 1001) (local.get $digit)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))))
