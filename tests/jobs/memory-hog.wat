;; Takes memory a mebibyte at a time, writes to all of it, and traps when it gets no more.
;; Expected: guest-memory-limit with trap "unreachable"; the peak is the limit, less than 1 MiB short.
(module
  (memory (export "memory") 1)
  (func $touch (param $at i32)
    ;; Every page of the mebibyte, so that it is memory and not only addresses.
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (i32.const 1048576)))
    (loop $page
      (i32.store (local.get $at) (i32.const 1))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $page (i32.lt_u (local.get $at) (local.get $end)))))
  (func $grow (export "_start") (local $old i32)
    (loop $more
      (local.set $old (memory.grow (i32.const 16)))
      (if (i32.eq (local.get $old) (i32.const -1)) (then unreachable))
      (call $touch (i32.shl (local.get $old) (i32.const 16)))
      (br $more))))
