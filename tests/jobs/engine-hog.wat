;; Makes the host, not itself, take memory: it waits for 400,000 timers at once, each described
;; in 48 bytes of its own 20 MiB and kept in hundreds of bytes of the host's; then starts again.
;; Expected where a cgroup holds the worker to its memory limit plus allowance: cgroup-oom. Without a
;; cgroup nothing stops it: deadline(attempt).
(module
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  ;; 400,000 subscriptions of 48 bytes from 65536 on; events, 32 bytes each, over them.
  (memory (export "memory") 320)
  (func (export "_start") (local $at i32) (local $left i32)
    (loop $again
      (local.set $at (i32.const 65536))
      (local.set $left (i32.const 400000))
      (loop $next
        (i64.store (local.get $at) (i64.const 0))                  ;; user data
        (i32.store8 offset=8 (local.get $at) (i32.const 0))        ;; a clock
        (i32.store offset=16 (local.get $at) (i32.const 1))        ;; monotonic
        (i64.store offset=24 (local.get $at) (i64.const 2000000000)) ;; in two seconds
        (i64.store offset=32 (local.get $at) (i64.const 0))        ;; precision
        (i32.store16 offset=40 (local.get $at) (i32.const 0))      ;; relative
        (local.set $at (i32.add (local.get $at) (i32.const 48)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br_if $next (local.get $left)))
      (drop (call $poll_oneoff
        (i32.const 65536) (i32.const 65536) (i32.const 400000) (i32.const 0)))
      (br $again))))
