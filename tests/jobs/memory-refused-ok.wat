;; Asks for more memory than anybody gives, and succeeds without.
;; Expected: succeeded; usage.refused_growth is 1 GiB and a page.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.ne (memory.grow (i32.const 16384)) (i32.const -1)) (then unreachable))))
