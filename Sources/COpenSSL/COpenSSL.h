// OpenSSL as Weir sees it: digests for the journal's hash chain. TLS joins here.
#ifndef WEIR_COPENSSL_H
#define WEIR_COPENSSL_H
#include <openssl/sha.h>
#endif
