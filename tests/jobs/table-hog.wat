;; Takes table elements, which are memory of the host, until it gets no more.
;; Expected: guest-memory-limit with trap "unreachable".
(module
  (table $t 1 funcref)
  (func (export "_start")
    (loop $more
      (br_if $more
        (i32.ne (table.grow $t (ref.null func) (i32.const 65536)) (i32.const -1))))
    unreachable))
