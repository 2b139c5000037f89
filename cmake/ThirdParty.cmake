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
endfunction()
