;; Asks for more memory than anybody gives, makes do with one page more, and fails for another reason.
;; Expected: exited with code 3 (the growth that succeeded forgives the refusal); usage.refused_growth is 1 GiB and a page.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.ne (memory.grow (i32.const 16384)) (i32.const -1)) (then unreachable))
    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
    (call $proc_exit (i32.const 3))))
