;; Grows to all that 32-bit addresses reach, untouched, and one page more.
;; Expected under a limit of 5 GiB: address-space. Under less: guest-memory-limit.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.eq (memory.grow (i32.const 65535)) (i32.const -1)) (then unreachable))
    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))))
