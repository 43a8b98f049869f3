#pragma once

// First: with _FORTIFY_SOURCE the body of realpath() in <stdlib.h> depends on it, and Swift's own module of the C library has it first too.
#include <limits.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

// What is known about one certificate. Texts are cut to their room, and end with a NUL.
typedef struct {
  char subject[256];
  char issuer[256];
  char names[1024];  // DNS names and IP addresses, separated by ", "
  char not_before[32];
  char not_after[32];
  int has_begun;  // whether `not_before` is past
  int has_ended;  // whether `not_after` is past
} baton_certificate;

static inline void baton_copy_name(char *room, int size, X509_NAME *name) {
  room[0] = 0;
  BIO *text = BIO_new(BIO_s_mem());
  if (!text) return;
  if (X509_NAME_print_ex(text, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
    int count = BIO_read(text, room, size - 1);
    room[count > 0 ? count : 0] = 0;
  }
  BIO_free(text);
}

static inline void baton_copy_time(char *room, int size, const ASN1_TIME *time) {
  struct tm parts;
  room[0] = 0;
  if (ASN1_TIME_to_tm(time, &parts)) strftime(room, size, "%Y-%m-%d %H:%M UTC", &parts);
}

static inline void baton_append_name(char *room, size_t size, const char *name) {
  size_t length = strlen(room);
  if (length + strlen(name) + 3 < size) {
    if (length) strcat(room, ", ");
    strcat(room, name);
  }
}

static inline void baton_copy_names(char *room, size_t size, X509 *certificate) {
  room[0] = 0;
  GENERAL_NAMES *names = (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
    GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    char text[256] = "";
    if (name->type == GEN_DNS && ASN1_STRING_length(name->d.dNSName) < (int)sizeof text) {
      memcpy(text, ASN1_STRING_get0_data(name->d.dNSName), ASN1_STRING_length(name->d.dNSName));
    } else if (name->type == GEN_IPADD) {
      int length = ASN1_STRING_length(name->d.iPAddress);
      if (length == 4 || length == 16) {
        inet_ntop(length == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), text, sizeof text);
      }
    }
    if (text[0]) baton_append_name(room, size, text);
  }
  if (names) GENERAL_NAMES_free(names);
}

static inline void baton_describe(X509 *certificate, baton_certificate *facts) {
  baton_copy_name(facts->subject, sizeof facts->subject, X509_get_subject_name(certificate));
  baton_copy_name(facts->issuer, sizeof facts->issuer, X509_get_issuer_name(certificate));
  baton_copy_names(facts->names, sizeof facts->names, certificate);
  baton_copy_time(facts->not_before, sizeof facts->not_before, X509_get0_notBefore(certificate));
  baton_copy_time(facts->not_after, sizeof facts->not_after, X509_get0_notAfter(certificate));
  facts->has_begun = X509_cmp_current_time(X509_get0_notBefore(certificate)) < 0;
  facts->has_ended = X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0;
}

// Reads the certificates of a PEM file in turn, at most `max`. Returns how many there are, or -1 if the file cannot be opened, or -2
// if one of them cannot be read.
static inline int baton_read_certificates(const char *path, baton_certificate *facts, int max) {
  BIO *file = BIO_new_file(path, "r");
  if (!file) {
    ERR_clear_error();
    return -1;
  }
  int count = 0;
  X509 *certificate;
  while ((certificate = PEM_read_bio_X509_AUX(file, NULL, NULL, NULL))) {
    if (count < max) baton_describe(certificate, &facts[count]);
    X509_free(certificate);
    count++;
  }
  // The end of the file shows as "no start line"; everything else is a damaged certificate.
  unsigned long error = ERR_peek_last_error();
  int is_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  BIO_free(file);
  return is_end ? count : -2;
}

// Whether a certificate and a key belong together: 1, or 0 if they do not, -1 if the certificate cannot be read, -2 if the key
// cannot (without a passphrase).
static inline int baton_check_key(const char *certificate, const char *key) {
  int result = 1;
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (!context) return 0;
  // Never ask the terminal for a passphrase.
  SSL_CTX_set_default_passwd_cb_userdata(context, (void *)"");
  if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1) {
    result = -1;
  } else if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
    unsigned long error = ERR_peek_last_error();
    result = ERR_GET_LIB(error) == ERR_LIB_X509 ? 0 : -2;
  } else if (SSL_CTX_check_private_key(context) != 1) {
    result = 0;
  }
  ERR_clear_error();
  SSL_CTX_free(context);
  return result;
}

// How far a look at a server came.
enum {
  BATON_TLS_NO_CONNECTION = 0,
  BATON_TLS_NOT_OFFERED = 1,     // Postgres said that it has no TLS
  BATON_TLS_NO_HANDSHAKE = 2,    // see `reason`
  BATON_TLS_UNTRUSTED = 3,       // see `verification` and `certificate`
  BATON_TLS_REFUSED = 4,         // the server ended the connection after the handshake: see `reason`
  BATON_TLS_ACCEPTED = 5,
};

typedef struct {
  int stage;
  long verification;  // X509_V_…
  char reason[256];
  baton_certificate certificate;
  baton_certificate cause;  // the certificate of the chain that the verification is about
} baton_tls_finding;

// Notes the first fault and goes on, so that the whole of the certificate can be described. Only for a look: nothing but the handshake
// is ever sent on such a connection.
static inline int baton_note_fault(int is_good, X509_STORE_CTX *store) {
  if (is_good) return 1;
  SSL *ssl = (SSL *)X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  baton_tls_finding *finding = ssl ? (baton_tls_finding *)SSL_get_app_data(ssl) : NULL;
  if (finding && finding->verification == X509_V_OK) {
    finding->verification = X509_STORE_CTX_get_error(store);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    if (certificate) baton_describe(certificate, &finding->cause);
  }
  return 1;
}

static inline void baton_note_reason(baton_tls_finding *finding) {
  unsigned long error = ERR_peek_error();
  const char *text = error ? ERR_reason_error_string(error) : NULL;
  if (text) strncpy(finding->reason, text, sizeof finding->reason - 1);
  ERR_clear_error();
}

static inline void baton_set_timeout(int descriptor, int milliseconds) {
  struct timeval time = {milliseconds / 1000, (milliseconds % 1000) * 1000};
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

static inline int baton_connect(const char *host, const char *port, int milliseconds) {
  struct addrinfo hints, *list, *entry;
  memset(&hints, 0, sizeof hints);
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(host, port, &hints, &list)) return -1;
  int descriptor = -1;
  for (entry = list; entry && descriptor < 0; entry = entry->ai_next) {
    descriptor = socket(entry->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) continue;
    baton_set_timeout(descriptor, milliseconds);
    if (connect(descriptor, entry->ai_addr, entry->ai_addrlen)) {
      close(descriptor);
      descriptor = -1;
    }
  }
  freeaddrinfo(list);
  return descriptor;
}

static inline void baton_shake_hands(SSL *ssl, int descriptor, baton_tls_finding *finding) {
  char byte;
  finding->stage = BATON_TLS_NO_HANDSHAKE;
  SSL_set_fd(ssl, descriptor);
  int status = SSL_connect(ssl);
  X509 *certificate = SSL_get0_peer_certificate(ssl);
  if (certificate) baton_describe(certificate, &finding->certificate);
  if (finding->verification != X509_V_OK) {
    finding->stage = BATON_TLS_UNTRUSTED;
  } else if (status == 1) {
    // With TLS 1.3 a server says what it thinks of the client's certificate only now.
    baton_set_timeout(descriptor, 500);
    ERR_clear_error();
    status = SSL_read(ssl, &byte, 1);
    int error = status > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl, status);
    finding->stage = error == SSL_ERROR_SSL ? BATON_TLS_REFUSED : BATON_TLS_ACCEPTED;
  }
  baton_note_reason(finding);
}

// Looks at a server's certificate as a client would. Sends nothing but a handshake. Blocks, for `milliseconds` a step at most.
//
// `address` is connected to; `name` is asked for and compared, as an IP address where `is_address` is 1. `authorities`, `certificate`
// and `key` are PEM files, any of which may be NULL; without authorities nothing is verified, without `compares_name` not the name.
static inline baton_tls_finding baton_look_at_server(
    const char *address, const char *port, const char *name, int is_address, int compares_name,
    int is_postgres,
    const char *authorities, const char *more_authorities, const char *certificate, const char *key,
    int milliseconds) {
  static const unsigned char ask_for_tls[8] = {0, 0, 0, 8, 4, 210, 22, 47};
  baton_tls_finding finding;
  memset(&finding, 0, sizeof finding);
  char answer = 'S';
  // OpenSSL writes without MSG_NOSIGNAL: a server that has gone must not end a process that does not ignore SIGPIPE.
  sigset_t pipe_signal, former, pending;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  sigpending(&pending);
  int was_pending = sigismember(&pending, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &former);
  SSL *ssl = NULL;
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  int descriptor = context ? baton_connect(address, port, milliseconds) : -1;
  if (descriptor < 0) goto end;
  if (is_postgres && (send(descriptor, ask_for_tls, 8, MSG_NOSIGNAL) != 8 || recv(descriptor, &answer, 1, 0) != 1)) {
    goto end;
  }
  if (answer != 'S') {
    finding.stage = BATON_TLS_NOT_OFFERED;
    goto end;
  }
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_default_passwd_cb_userdata(context, (void *)"");
  if (authorities) SSL_CTX_load_verify_locations(context, authorities, NULL);
  if (more_authorities) SSL_CTX_load_verify_locations(context, more_authorities, NULL);
  if (certificate && key) {
    SSL_CTX_use_certificate_chain_file(context, certificate);
    SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM);
  }
  SSL_CTX_set_verify(context, authorities ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, authorities ? baton_note_fault : NULL);
  ERR_clear_error();
  ssl = SSL_new(context);
  if (!ssl) goto end;
  SSL_set_app_data(ssl, (char *)&finding);
  if (!is_address) SSL_set_tlsext_host_name(ssl, name);
  if (is_address && compares_name) X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
  if (!is_address && compares_name) SSL_set1_host(ssl, name);
  baton_shake_hands(ssl, descriptor, &finding);
end:
  ERR_clear_error();
  if (ssl) SSL_free(ssl);
  if (descriptor >= 0) close(descriptor);
  if (context) SSL_CTX_free(context);
  struct timespec now = {0, 0};
  if (!was_pending) sigtimedwait(&pipe_signal, NULL, &now);
  pthread_sigmask(SIG_SETMASK, &former, NULL);
  return finding;
}
