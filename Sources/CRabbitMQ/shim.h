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
