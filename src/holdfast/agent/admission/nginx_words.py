"""The directives that a reverse proxy needs, and the forms that those with files, users or addresses may take."""

from __future__ import annotations

import re

from holdfast.bundle import LOG_DIR, RUN_DIR, STATE_DIR, TLS_DIR

_LOG = rf"{LOG_DIR}/nginx/[A-Za-z0-9][A-Za-z0-9_-]{{0,62}}\.log"
_TEMPORARY = rf"({RUN_DIR}|{STATE_DIR})/nginx/[a-z][a-z_-]{{0,40}}( [123]){{0,3}}"
_TLS = rf"{TLS_DIR}/[A-Za-z0-9][A-Za-z0-9._-]{{0,62}}"
_SHARED = r"shared:[A-Za-z0-9_]+:[0-9]+[kKmM]?"
_VARIABLE = r"\$\{?[a-z_][a-z0-9_]*\}?"
_HOST = r"([A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_ADDRESS = r"([0-9.]+|\*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?|[0-9]{1,5}"

# Whoever writes these writes, reads or connects as the master, which is root: their values (joined by single blanks)
# must have one of these forms as a whole.
FORMS: dict[str, re.Pattern[str]] = {
    name: re.compile(form)
    for name, form in {
        "user": r"(www-data|nobody)( www-data| nogroup)?",
        "pid": re.escape(f"{RUN_DIR}/nginx/nginx.pid"),
        "error_log": rf"(stderr|{_LOG})( (debug|info|notice|warn|error|crit|alert|emerg))?",
        "access_log": rf"off|{_LOG}( [A-Za-z0-9_]+)?( (buffer|flush)=[0-9a-z]+)*( if={_VARIABLE})?",
        "client_body_temp_path": _TEMPORARY,
        "proxy_temp_path": _TEMPORARY,
        "fastcgi_temp_path": _TEMPORARY,
        "uwsgi_temp_path": _TEMPORARY,
        "scgi_temp_path": _TEMPORARY,
        "ssl_certificate": _TLS,
        "ssl_certificate_key": _TLS,
        "ssl_dhparam": _TLS,
        "ssl_client_certificate": _TLS,
        "ssl_trusted_certificate": _TLS,
        "ssl_crl": _TLS,
        "ssl_session_ticket_key": _TLS,
        "proxy_ssl_certificate": _TLS,
        "proxy_ssl_certificate_key": _TLS,
        "proxy_ssl_trusted_certificate": _TLS,
        "proxy_ssl_crl": _TLS,
        "listen": rf"({_ADDRESS})( [a-z0-9_=:.\[\]-]+)*",
        # No variable in the host: a client's header, or pieces put together, could name a socket of this machine.
        "proxy_pass": rf"https?://{_HOST}(/[!-~]*)?",
        "ssl_session_cache": rf"(off|none|builtin(:[0-9]+)?|{_SHARED})( {_SHARED})?",
    }.items()
}

# What an upstream may include: nginx looks for it beside nginx.conf, so also in a generation that is staged.
SERVER_LIST = re.compile(r"servers/[A-Za-z0-9][A-Za-z0-9._-]{0,150}\.conf")
SERVER_SETTING = re.compile(r"(weight|max_conns|max_fails|fail_timeout)=[0-9]{1,9}(ms|[smh])?|backup")

# Blocks whose lines begin with a value, not with a directive.
TABLES = frozenset({"map", "geo", "split_clients", "types"})

BLOCKS = TABLES | {"events", "http", "server", "location", "upstream", "if", "limit_except"}

_PLAIN = """
worker_processes worker_rlimit_nofile worker_shutdown_timeout worker_connections multi_accept use accept_mutex
accept_mutex_delay pcre_jit log_format log_not_found log_subrequest map_hash_bucket_size map_hash_max_size
server server_name server_name_in_redirect server_names_hash_bucket_size server_names_hash_max_size server_tokens
variables_hash_bucket_size variables_hash_max_size types_hash_bucket_size types_hash_max_size default_type
absolute_redirect port_in_redirect merge_slashes underscores_in_headers ignore_invalid_headers
return set rewrite break rewrite_log uninitialized_variable_warn error_page recursive_error_pages internal
add_header expires etag allow deny satisfy real_ip_header real_ip_recursive set_real_ip_from
limit_req limit_req_zone limit_req_status limit_req_log_level limit_req_dry_run
limit_conn limit_conn_zone limit_conn_status limit_conn_log_level limit_conn_dry_run limit_rate limit_rate_after
client_max_body_size client_body_buffer_size client_body_timeout client_header_buffer_size client_header_timeout
client_body_in_single_buffer large_client_header_buffers connection_pool_size request_pool_size
chunked_transfer_encoding
keepalive keepalive_timeout keepalive_requests keepalive_time keepalive_disable lingering_close lingering_time
lingering_timeout send_timeout reset_timedout_connection tcp_nopush tcp_nodelay sendfile postpone_output output_buffers
gzip gzip_comp_level gzip_types gzip_min_length gzip_vary gzip_proxied gzip_disable gzip_buffers gzip_http_version
ssl_protocols ssl_ciphers ssl_prefer_server_ciphers ssl_session_timeout ssl_session_tickets ssl_ecdh_curve
ssl_verify_client ssl_verify_depth ssl_stapling ssl_stapling_verify ssl_buffer_size ssl_early_data
ssl_reject_handshake http2_max_concurrent_streams http2_body_preread_size http2_chunk_size http2_recv_buffer_size
stub_status resolver resolver_timeout status_zone
zone hash least_conn ip_hash random
proxy_http_version proxy_method proxy_set_header proxy_pass_header proxy_hide_header proxy_ignore_headers proxy_redirect
proxy_pass_request_headers proxy_pass_request_body proxy_next_upstream proxy_next_upstream_tries
proxy_next_upstream_timeout proxy_connect_timeout proxy_read_timeout proxy_send_timeout proxy_buffering
proxy_buffer_size proxy_buffers proxy_busy_buffers_size proxy_request_buffering proxy_max_temp_file_size
proxy_temp_file_write_size proxy_intercept_errors proxy_ignore_client_abort proxy_headers_hash_max_size
proxy_headers_hash_bucket_size proxy_socket_keepalive proxy_cookie_domain proxy_cookie_path proxy_cookie_flags
proxy_limit_rate proxy_send_lowat proxy_force_ranges proxy_ssl_server_name proxy_ssl_name proxy_ssl_protocols
proxy_ssl_ciphers proxy_ssl_verify proxy_ssl_verify_depth proxy_ssl_session_reuse
"""
DIRECTIVES = frozenset(_PLAIN.split()) | FORMS.keys()
