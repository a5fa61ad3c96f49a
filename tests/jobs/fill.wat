;; Fills 256 MiB of its memory again and again: one instruction each time, between
;; two of which alone an epoch is looked at.
;; Expected under a memory limit of 300 MiB: deadline(attempt), soon after the timeout.
(module
  (memory (export "memory") 4096)
  (func (export "_start")
    (loop $again
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 268435456))
      (br $again))))
