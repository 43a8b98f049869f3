#pragma once

#include <sys/time.h>  // amqp.h only forward-declares struct timeval

#if __has_include(<rabbitmq-c/amqp.h>)  // librabbitmq 0.12 and later
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/ssl_socket.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#endif

// Variadic functions do not import into Swift: this is the SASL PLAIN form of amqp_login_with_properties.
static inline amqp_rpc_reply_t baton_amqp_login_plain(
    amqp_connection_state_t connection, const char *vhost, int channel_max, int frame_max, int heartbeat,
    const amqp_table_t *properties, const char *user, const char *password) {
  return amqp_login_with_properties(connection, vhost, channel_max, frame_max, heartbeat, properties,
                                    AMQP_SASL_METHOD_PLAIN, user, password);
}

// The same for SASL EXTERNAL: the broker takes the account from the client's certificate.
static inline amqp_rpc_reply_t baton_amqp_login_external(
    amqp_connection_state_t connection, const char *vhost, int channel_max, int frame_max, int heartbeat,
    const amqp_table_t *properties, const char *identity) {
  return amqp_login_with_properties(connection, vhost, channel_max, frame_max, heartbeat, properties,
                                    AMQP_SASL_METHOD_EXTERNAL, identity);
}

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// librabbitmq takes the server's name for SNI from the host that it connects to, which is an address here: see
// ConnectionHandle. OpenSSL calls this before it writes its first message.
static inline void baton_set_server_name(const SSL *ssl, int where, int value) {
  (void)value;
  const char *name = (const char *)SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
  if ((where & SSL_CB_HANDSHAKE_START) && name) SSL_set_tlsext_host_name((SSL *)ssl, name);
}

// Has a TLS socket ask for a server by name (NULL: without a name), and accept only a certificate for the name or the IP address, unless
// `verifies` is 0. `name` has to live until the handshake has ended. Returns 0 if there is no memory.
static inline int baton_amqp_ssl_expect(amqp_socket_t *socket, const char *name, int is_address, int verifies) {
  SSL_CTX *context = (SSL_CTX *)amqp_ssl_socket_get_context(socket);
  if (!context) return 0;
  SSL_CTX_set_app_data(context, is_address ? NULL : (char *)name);
  SSL_CTX_set_info_callback(context, baton_set_server_name);
  if (!verifies) return 1;
  X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(context);
  return is_address ? X509_VERIFY_PARAM_set1_ip_asc(parameters, name) : X509_VERIFY_PARAM_set1_host(parameters, name, 0);
}

// Forgets the name of baton_amqp_ssl_expect, which may go now.
static inline void baton_amqp_ssl_forget(amqp_socket_t *socket) {
  SSL_CTX *context = (SSL_CTX *)amqp_ssl_socket_get_context(socket);
  if (context) SSL_CTX_set_app_data(context, NULL);
}
