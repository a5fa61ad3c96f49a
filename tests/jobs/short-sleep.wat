;; Sleeps for 150 ms in poll_oneoff and exits 0: long enough to be killed at any
;; moment, short enough for many. Expected outcome: succeeded.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  ;; A subscription at 0: userdata u64, tag u8 (0: clock), then at 16 the clock
  ;; id u32 (1: monotonic), timeout u64 at 24, precision u64 at 32, flags u16 at 40.
  (func (export "_start")
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 150000000))
    (drop (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))
