// OpenSSL as Weir sees it: digests for the journal's hash chain, HMAC for signed notices, and TLS over memory
// BIOs for calls that Control makes. Macros and functions with callbacks that Swift cannot see are wrapped
// as `weir_tls_...`; nothing here keeps state or touches a socket.
#ifndef WEIR_COPENSSL_H
#define WEIR_COPENSSL_H
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

/// A client's context: TLS 1.2 or newer, the peer's certificate checked. NULL when memory is out.
static inline SSL_CTX *weir_tls_client_context(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

/// Whom to expect: `name` goes into SNI and is matched against the certificate's names; an IP address goes
/// into no SNI (RFC 6066, section 3) and is matched against its addresses. 1 on success.
static inline int weir_tls_expect(SSL *session, const char *name, int is_address) {
    if (is_address) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name);
    SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(session, name) == 1 && SSL_set1_host(session, name) == 1;
}

/// A memory BIO whose end means "more may come", not "closed".
static inline BIO *weir_tls_memory(void) {
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory != NULL) BIO_set_mem_eof_return(memory, -1);
    return memory;
}

/// Bytes that wait in a memory BIO.
static inline size_t weir_tls_pending(BIO *memory) { return BIO_ctrl_pending(memory); }

/// The protocol that ALPN is to offer: HTTP/1.1 alone (RFC 7301).
static inline void weir_tls_offer_http1(SSL *session) {
    static const unsigned char protocols[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    SSL_set_alpn_protos(session, protocols, sizeof protocols);
}

#endif
