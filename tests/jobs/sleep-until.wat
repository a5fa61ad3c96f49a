;; Sleeps until 50 ms from now, said as a point in time, and returns.
;; Expected: succeeded (a host that never moves its timers would hang here).
(module
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock_time_get (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i64.store (i32.const 0) (i64.const 0))
    (i32.store8 offset=8 (i32.const 0) (i32.const 0))
    (i32.store offset=16 (i32.const 0) (i32.const 1))
    (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 24)))
    (i64.store (i32.const 24) (i64.add (i64.load (i32.const 24)) (i64.const 50000000)))
    (i32.store16 offset=40 (i32.const 0) (i32.const 1)) ;; absolute
    (if (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))
      (then unreachable))))
