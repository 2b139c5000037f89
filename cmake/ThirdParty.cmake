# Sources that no system package has, fetched and verified by tools/fetch_third_party.sh.

# Fetches `name` unless it is there already; sets `out` to its directory.
function(godwit_third_party name out)
  execute_process(COMMAND ${CMAKE_SOURCE_DIR}/tools/fetch_third_party.sh ${name}
    RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "third-party sources of ${name} could not be fetched; "
      "once there is a network, run: tools/fetch_third_party.sh ${name}")
  endif()
  set(${out} ${CMAKE_SOURCE_DIR}/build/third_party/${name} PARENT_SCOPE)
endfunction()

# SQLite with encryption: one large C file, about 25 s to compile, and then in ccache.
function(godwit_add_sqlite)
  godwit_third_party(sqlite3mc dir)
  add_library(godwit_sqlite3mc STATIC EXCLUDE_FROM_ALL ${dir}/deps/sqlite3/sqlite3.c)
  target_include_directories(godwit_sqlite3mc SYSTEM BEFORE PUBLIC ${dir}/deps/sqlite3)
  target_compile_options(godwit_sqlite3mc PRIVATE -w -O2 -g0)
  target_compile_definitions(godwit_sqlite3mc PRIVATE
    SQLITE_THREADSAFE=2             # a connection is used by one thread at a time
    SQLITE_DQS=0                    # "x" is never a string
    SQLITE_DEFAULT_MEMSTATUS=0
    SQLITE_LIKE_DOESNT_MATCH_BLOBS
    SQLITE_MAX_EXPR_DEPTH=0
    SQLITE_OMIT_DEPRECATED
    SQLITE_OMIT_LOAD_EXTENSION
    SQLITE_OMIT_PROGRESS_CALLBACK
    SQLITE_OMIT_SHARED_CACHE
    SQLITE_TEMP_STORE=3             # nothing decrypted reaches a temporary file
    SQLITE_USE_ALLOCA
    SQLITE_ENABLE_FTS5
    SQLITE3MC_SECURE_MEMORY=1       # freed memory is cleared
    HAVE_CIPHER_AES_128_CBC=0 HAVE_CIPHER_AES_256_CBC=0 HAVE_CIPHER_SQLCIPHER=0
    HAVE_CIPHER_RC4=0 HAVE_CIPHER_ASCON128=0)
  target_link_libraries(godwit_sqlite3mc PUBLIC m pthread)
endfunction()

# The lattice arithmetic of ML-KEM (PQClean, CC0), the same sources natively and for wasm32.
function(godwit_add_pqclean)
  godwit_third_party(pqclean dir)
  set(dir ${dir}/deps/PQClean)
  file(GLOB sources ${dir}/crypto_kem/ml-kem-768/clean/*.c ${dir}/crypto_kem/ml-kem-1024/clean/*.c)
  add_library(godwit_pqclean STATIC EXCLUDE_FROM_ALL ${sources} ${dir}/common/fips202.c)
  target_include_directories(godwit_pqclean SYSTEM PUBLIC ${dir}/crypto_kem ${dir}/common)
  target_compile_options(godwit_pqclean PRIVATE -w -O2 -g0)
  if(GODWIT_FUZZ)  # arithmetic on arrays of fixed sizes: nothing there guides a fuzzer
    target_compile_options(godwit_pqclean PRIVATE -fno-sanitize=undefined,fuzzer-no-link)
  endif()
endfunction()

# What WebAssembly takes instead of the system's libsodium and OpenSSL: the same libsodium, compiled
# from the files that src/crypto needs, and BearSSL's constant-time AES.
function(godwit_add_wasm_crypto)
  godwit_third_party(libsodium dir)
  set(sodium ${dir}/src/libsodium)
  set(VERSION 1.0.18)
  set(SODIUM_LIBRARY_VERSION_MAJOR 10)
  set(SODIUM_LIBRARY_VERSION_MINOR 3)
  configure_file(${sodium}/include/sodium/version.h.in
    ${CMAKE_BINARY_DIR}/third_party/sodium/version.h @ONLY)
  set(sources
    crypto_auth/hmacsha256/auth_hmacsha256.c
    crypto_core/ed25519/core_ed25519.c
    crypto_core/ed25519/ref10/ed25519_ref10.c
    crypto_generichash/blake2b/ref/blake2b-compress-ref.c
    crypto_generichash/blake2b/ref/blake2b-ref.c
    crypto_generichash/blake2b/ref/generichash_blake2b.c
    crypto_hash/sha256/cp/hash_sha256_cp.c
    crypto_hash/sha256/hash_sha256.c
    crypto_hash/sha512/cp/hash_sha512_cp.c
    crypto_hash/sha512/hash_sha512.c
    crypto_pwhash/argon2/argon2-core.c
    crypto_pwhash/argon2/argon2-encoding.c
    crypto_pwhash/argon2/argon2-fill-block-ref.c
    crypto_pwhash/argon2/argon2.c
    crypto_pwhash/argon2/blake2b-long.c
    crypto_pwhash/argon2/pwhash_argon2id.c
    crypto_scalarmult/curve25519/ref10/x25519_ref10.c
    crypto_scalarmult/curve25519/scalarmult_curve25519.c
    crypto_scalarmult/ed25519/ref10/scalarmult_ed25519_ref10.c
    crypto_shorthash/siphash24/ref/shorthash_siphash24_ref.c
    crypto_sign/ed25519/ref10/open.c
    crypto_sign/ed25519/ref10/sign.c
    crypto_verify/sodium/verify.c
    sodium/codecs.c
    sodium/core.c
    sodium/runtime.c
    sodium/utils.c)
  list(TRANSFORM sources PREPEND ${sodium}/)
  add_library(godwit_sodium STATIC EXCLUDE_FROM_ALL ${sources})
  target_include_directories(godwit_sodium SYSTEM
    PUBLIC ${sodium}/include ${CMAKE_BINARY_DIR}/third_party
    PRIVATE ${sodium}/include/sodium ${CMAKE_BINARY_DIR}/third_party/sodium)
  target_compile_options(godwit_sodium PRIVATE -w -O3 -g0 -ffunction-sections)
  target_compile_definitions(godwit_sodium PUBLIC SODIUM_STATIC
    PRIVATE CONFIGURED=1 NATIVE_LITTLE_ENDIAN=1 HAVE_EXPLICIT_BZERO=1 _WASI_EMULATED_SIGNAL)
  target_link_libraries(godwit_sodium INTERFACE wasi-emulated-signal)

  godwit_third_party(bearssl dir)
  set(sources
    aead/gcm.c
    codec/dec32le.c
    codec/enc32le.c
    hash/ghash_ctmul64.c
    symcipher/aes_ct64.c
    symcipher/aes_ct64_cbcdec.c
    symcipher/aes_ct64_cbcenc.c
    symcipher/aes_ct64_ctr.c
    symcipher/aes_ct64_dec.c
    symcipher/aes_ct64_enc.c)
  list(TRANSFORM sources PREPEND ${dir}/src/)
  add_library(godwit_bearssl STATIC EXCLUDE_FROM_ALL ${sources})
  target_include_directories(godwit_bearssl SYSTEM PUBLIC ${dir}/inc PRIVATE ${dir}/src)
  target_compile_options(godwit_bearssl PRIVATE -w -O3 -g0)
endfunction()

# GoogleTest for WebAssembly, from the sources that Debian's package holds.
function(godwit_add_wasm_gtest)
  set(dir /usr/src/googletest/googletest)
  if(NOT EXISTS ${dir})
    message(FATAL_ERROR "no GoogleTest sources: run ./dev setup")
  endif()
  add_library(godwit_gtest STATIC EXCLUDE_FROM_ALL ${dir}/src/gtest-all.cc ${dir}/src/gtest_main.cc)
  target_include_directories(godwit_gtest SYSTEM PUBLIC ${dir}/include PRIVATE ${dir})
  target_compile_options(godwit_gtest PRIVATE -w -g0)
  target_compile_definitions(godwit_gtest PUBLIC GTEST_HAS_PTHREAD=0 GTEST_HAS_EXCEPTIONS=0
    GTEST_HAS_RTTI=0 GTEST_HAS_CLONE=0 GTEST_HAS_DEATH_TEST=0 GTEST_HAS_FILE_SYSTEM=0
    GTEST_HAS_STREAM_REDIRECTION=0)
  add_library(GTest::gtest_main ALIAS godwit_gtest)
endfunction()
