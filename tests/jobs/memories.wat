;; Grows four memories in turn, a mebibyte each, until none of them gets any more.
;; Expected: guest-memory-limit; the peak of all four together is no more than the limit.
(module
  (memory $a (export "memory") 1)
  (memory $b 1)
  (memory $c 1)
  (memory $d 1)
  (func (export "_start")
    (loop $more
      (if (i32.ne (memory.grow $a (i32.const 16)) (i32.const -1)) (then (br $more)))
      (if (i32.ne (memory.grow $b (i32.const 16)) (i32.const -1)) (then (br $more)))
      (if (i32.ne (memory.grow $c (i32.const 16)) (i32.const -1)) (then (br $more)))
      (if (i32.ne (memory.grow $d (i32.const 16)) (i32.const -1)) (then (br $more))))
    unreachable))
