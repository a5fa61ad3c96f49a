;; Takes memory a mebibyte at a time and, when it gets no more, exits with 9 as a program with error handling does.
;; Expected: guest-memory-limit with code 9.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $more
      (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (call $proc_exit (i32.const 9))))
