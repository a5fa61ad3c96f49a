;; Leaves a link in /out (descriptor 4) that leads to a file of the host, for whoever collects it.
;; Expected: output-refused; nothing is published.
(module
  (import "wasi_snapshot_preview1" "path_symlink"
    (func $path_symlink (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "../../../../../../../../etc/passwd")
  (data (i32.const 128) "table.csv")
  (func (export "_start")
    (if (call $path_symlink (i32.const 64) (i32.const 34) (i32.const 4) (i32.const 128) (i32.const 9))
      (then unreachable))))
