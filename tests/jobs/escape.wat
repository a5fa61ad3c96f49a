;; Tries every way out of /scratch (descriptor 5) that it knows: upwards, absolute,
;; through links of its own, by trailing slashes, by renames and hard links.
;; Expected: succeeded, for none leads out; else exited with the number of the one that did.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_symlink"
    (func $path_symlink (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_rename"
    (func $path_rename (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_link"
    (func $path_link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory"
    (func $path_create_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get"
    (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file"
    (func $path_unlink_file (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 256) "../../../canary")
  (data (i32.const 288) "/etc/passwd")
  (data (i32.const 320) "../in")
  (data (i32.const 352) "up")
  (data (i32.const 356) "..")
  (data (i32.const 360) "up/")
  (data (i32.const 364) "up/../../../canary")
  (data (i32.const 392) "dir")
  (data (i32.const 400) "dir/../../out")
  (data (i32.const 424) "/proc/self/environ")
  (data (i32.const 448) "root")
  (data (i32.const 456) "root/etc/passwd")
  (data (i32.const 480) "mine")
  (data (i32.const 488) "../../../../../../../proc/self/environ")
  (data (i32.const 540) "stolen")
  (data (i32.const 560) "up/stdout")
  (data (i32.const 576) "../stdout")
  ;; Traps nowhere: what succeeded is the answer.
  (func $denied (param $try i32) (param $error i32)
    (if (i32.eqz (local.get $error)) (then (call $proc_exit (local.get $try)))))
  ;; Opening, following links, to read; or to make and write.
  (func $open (param $try i32) (param $path i32) (param $len i32)
    (call $denied (local.get $try)
      (call $path_open (i32.const 5) (i32.const 1) (local.get $path) (local.get $len)
        (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 24)))
    (call $denied (i32.add (local.get $try) (i32.const 100))
      (call $path_open (i32.const 5) (i32.const 1) (local.get $path) (local.get $len)
        (i32.const 9) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24))))
  (func (export "_start")
    (call $open (i32.const 1) (i32.const 256) (i32.const 15))
    (call $open (i32.const 2) (i32.const 288) (i32.const 11))
    (call $open (i32.const 3) (i32.const 320) (i32.const 5))
    (call $open (i32.const 4) (i32.const 356) (i32.const 2))
    ;; A link upwards may be made: it must lead nowhere.
    (drop (call $path_symlink (i32.const 356) (i32.const 2) (i32.const 5) (i32.const 352) (i32.const 2)))
    (call $open (i32.const 5) (i32.const 352) (i32.const 2))
    (call $open (i32.const 6) (i32.const 360) (i32.const 3))
    (call $open (i32.const 7) (i32.const 364) (i32.const 18))
    (call $open (i32.const 8) (i32.const 560) (i32.const 9))
    (call $denied (i32.const 9)
      (call $path_filestat_get (i32.const 5) (i32.const 1) (i32.const 360) (i32.const 3) (i32.const 128)))
    ;; A directory with a way up in its path.
    (drop (call $path_create_directory (i32.const 5) (i32.const 392) (i32.const 3)))
    (call $open (i32.const 10) (i32.const 400) (i32.const 13))
    ;; An absolute link.
    (drop (call $path_symlink (i32.const 288) (i32.const 1) (i32.const 5) (i32.const 448) (i32.const 4)))
    (call $open (i32.const 11) (i32.const 456) (i32.const 15))
    (call $open (i32.const 12) (i32.const 424) (i32.const 18))
    (call $open (i32.const 13) (i32.const 488) (i32.const 38))
    ;; Files of the host that are taken in, and files of ours that are put out.
    (call $denied (i32.const 14)
      (call $path_link (i32.const 5) (i32.const 0) (i32.const 576) (i32.const 9)
        (i32.const 5) (i32.const 540) (i32.const 6)))
    (call $denied (i32.const 15)
      (call $path_rename (i32.const 5) (i32.const 576) (i32.const 9)
        (i32.const 5) (i32.const 540) (i32.const 6)))
    (drop (call $path_open (i32.const 5) (i32.const 0) (i32.const 480) (i32.const 4)
      (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24)))
    (call $denied (i32.const 16)
      (call $path_rename (i32.const 5) (i32.const 480) (i32.const 4)
        (i32.const 5) (i32.const 256) (i32.const 15)))
    (call $denied (i32.const 17)
      (call $path_link (i32.const 5) (i32.const 0) (i32.const 480) (i32.const 4)
        (i32.const 5) (i32.const 256) (i32.const 15)))
    (call $denied (i32.const 18)
      (call $path_unlink_file (i32.const 5) (i32.const 256) (i32.const 15)))
    (call $denied (i32.const 19)
      (call $path_unlink_file (i32.const 5) (i32.const 560) (i32.const 9)))))
