;; A component of WASI 0.2. Writes its arguments, one a line, makes the directory "made" in
;; every directory that it sees, sleeps 20 ms, and exits with the number of its arguments.
;; Expected: exit code 1 without arguments, for its name.
(component
  (import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $outer))
    (export "error" (type $error (eq $outer)))
    (export "output-stream" (type $output-stream (sub resource)))
    (type $failure (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output-stream)) (param "contents" (list u8))
        (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-stream (type $outer))
    (export "output-stream" (type $output-stream (eq $outer)))
    (export "get-stdout" (func (result (own $output-stream))))))
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-arguments" (func (result (list string))))))
  (import "wasi:cli/exit@0.2.12" (instance $exit
    (export "exit-with-code" (func (param "status-code" u8)))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $pollable (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (import "wasi:filesystem/types@0.2.0" (instance $files
    (export "descriptor" (type $descriptor (sub resource)))
    (type $code (enum
      "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist"
      "file-too-large" "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io"
      "is-directory" "loop" "too-many-links" "message-size" "name-too-long" "no-device"
      "no-entry" "no-lock" "insufficient-memory" "insufficient-space" "not-directory"
      "not-empty" "not-recoverable" "unsupported" "no-tty" "no-such-device" "overflow"
      "not-permitted" "pipe" "read-only" "invalid-seek" "text-file-busy" "cross-device"))
    (export "error-code" (type $error-code (eq $code)))
    (export "[method]descriptor.create-directory-at"
      (func (param "self" (borrow $descriptor)) (param "path" string)
        (result (result (error $error-code)))))))
  (alias export $files "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor (type $outer))
    (export "descriptor" (type $descriptor (eq $outer)))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))

  ;; What the functions of the host write to must be there before they are lowered.
  (core module $Memory
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32)
      (result i32)
      (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get $new)))))
  (core instance $memory (instantiate $Memory))
  (alias core export $memory "memory" (core memory $memory_of_all))
  (alias core export $memory "realloc" (core func $realloc))

  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory $memory_of_all)))
  (core func $get_stdout (canon lower (func $stdout "get-stdout")))
  (core func $get_arguments (canon lower (func $environment "get-arguments")
    (memory $memory_of_all) (realloc $realloc)))
  (core func $exit_with_code (canon lower (func $exit "exit-with-code")))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $make (canon lower (func $files "[method]descriptor.create-directory-at")
    (memory $memory_of_all)))
  (core func $get_directories (canon lower (func $preopens "get-directories")
    (memory $memory_of_all) (realloc $realloc)))

  (core module $Program
    (import "host" "memory" (memory 1))
    (import "host" "block" (func $block (param i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "get_stdout" (func $get_stdout (result i32)))
    (import "host" "get_arguments" (func $get_arguments (param i32)))
    (import "host" "exit_with_code" (func $exit_with_code (param i32)))
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "host" "make" (func $make (param i32 i32 i32 i32)))
    (import "host" "get_directories" (func $get_directories (param i32)))
    (data (i32.const 0) "\nmade")
    (func (export "run") (result i32)
      (local $stdout i32) (local $at i32) (local $left i32) (local $arguments i32)
      (local.set $stdout (call $get_stdout))
      (call $get_arguments (i32.const 64))
      (local.set $at (i32.load (i32.const 64)))
      (local.set $arguments (i32.load (i32.const 68)))
      (local.set $left (local.get $arguments))
      (loop $argument
        (if (local.get $left) (then
          (call $write (local.get $stdout) (i32.load (local.get $at))
            (i32.load offset=4 (local.get $at)) (i32.const 128))
          (call $write (local.get $stdout) (i32.const 0) (i32.const 1) (i32.const 128))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br $argument))))
      (call $get_directories (i32.const 64))
      (local.set $at (i32.load (i32.const 64)))
      (local.set $left (i32.load (i32.const 68)))
      (loop $directory
        (if (local.get $left) (then
          (call $make (i32.load (local.get $at)) (i32.const 1) (i32.const 4) (i32.const 128))
          (local.set $at (i32.add (local.get $at) (i32.const 12)))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br $directory))))
      (call $block (call $subscribe (i64.const 20000000)))
      (call $exit_with_code (local.get $arguments))
      unreachable))
  (core instance $program (instantiate $Program (with "host" (instance
    (export "memory" (memory $memory_of_all))
    (export "block" (func $block))
    (export "write" (func $write))
    (export "get_stdout" (func $get_stdout))
    (export "get_arguments" (func $get_arguments))
    (export "exit_with_code" (func $exit_with_code))
    (export "subscribe" (func $subscribe))
    (export "make" (func $make))
    (export "get_directories" (func $get_directories))))))
  (func $run (result (result)) (canon lift (core func $program "run")))
  (instance (export "wasi:cli/run@0.2.6") (export "run" (func $run))))
