;; Declares 1 GiB of initial memory.
;; Expected under a smaller limit: refused at submit; a node that gets it nevertheless: guest-memory-limit.
(module
  (memory (export "memory") 16384)
  (func (export "_start")))
