;; Throws an exception, catches it and exits with what it carried.
;; Expected: exited with code 7; compiled in engine profile "exceptions".
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (tag $t (param i32))
  (func $thrower (throw $t (i32.const 7)))
  (func (export "_start")
    (block $caught (result i32)
      (try_table (catch $t $caught) (call $thrower))
      unreachable)
    (call $proc_exit)))
