#!/usr/bin/env bash
# One node of a cluster as somebody else would have built it: plain packages of Debian, no role of halab.
# tests/foreign/cluster.py sends this to each machine as root, with a head that sets the variables it uses:
#   number address nodes balancer admin_password repl_password rest_password stats_password
set -euo pipefail

: "${number:?}" "${address:?}" "${nodes:?}" "${admin_password:?}" "${repl_password:?}" "${rest_password:?}" "${stats_password:?}"
balancer=${balancer-}
readonly dcs_port=12379 sql_port=5544 rest_port=8108 bin=/usr/lib/postgresql/17/bin
read -ra addresses <<<"$nodes"
letters=(x a b c)

members() { # FORMAT: one line for each node, with its number and address
    local one
    for one in 1 2 3; do
        # shellcheck disable=SC2059
        printf "$1" "$one" "${addresses[one - 1]}"
    done
}

packages() {
    export DEBIAN_FRONTEND=noninteractive
    install -d /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/site.conf
    # Nothing may start with the configuration of its package.
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    apt-get -qq update
    apt-get -qq --yes --no-install-recommends install \
        etcd-server patroni postgresql-17 postgresql-17-pgvector python3-etcd python3-psycopg2 \
        ${balancer:+haproxy} >/dev/null
    rm /usr/sbin/policy-rc.d
    systemctl --quiet disable etcd.service ${balancer:+haproxy.service}
}

dcs() {
    local peers='' one
    for one in 1 2 3; do
        peers+="${peers:+,}dcs-${letters[one]}=http://${addresses[one - 1]}:12380"
    done
    install -d -o etcd -g etcd -m 700 /opt/dcs
    cat >/etc/dcs.conf <<-END
		ETCD_NAME=dcs-${letters[number]}
		ETCD_DATA_DIR=/opt/dcs/member
		ETCD_LISTEN_CLIENT_URLS=http://$address:$dcs_port,http://127.0.0.1:$dcs_port
		ETCD_ADVERTISE_CLIENT_URLS=http://$address:$dcs_port
		ETCD_LISTEN_PEER_URLS=http://$address:12380
		ETCD_INITIAL_ADVERTISE_PEER_URLS=http://$address:12380
		ETCD_INITIAL_CLUSTER=$peers
		ETCD_INITIAL_CLUSTER_TOKEN=orders
		ETCD_INITIAL_CLUSTER_STATE=new
	END
    cat >/etc/systemd/system/dcs.service <<-END
		[Unit]
		Description=Configuration store
		After=network.target
		[Service]
		Type=notify
		User=etcd
		EnvironmentFile=/etc/dcs.conf
		ExecStart=/usr/bin/etcd
		Restart=always
		[Install]
		WantedBy=multi-user.target
	END
}

sql() {
    install -d -o postgres -g postgres -m 700 /opt/pgdata
    install -o postgres -g postgres -m 600 /dev/null /etc/patroni/orders.yml
    cat >/etc/patroni/orders.yml <<-END
		scope: orders
		namespace: /ha/
		name: sql-$number
		restapi:
		  listen: $address:$rest_port
		  connect_address: $address:$rest_port
		  authentication: {username: operator, password: $rest_password}
		etcd3:
		  hosts: [$(members '%.0s%s:'$dcs_port, | sed 's/,$//')]
		bootstrap:
		  dcs:
		    ttl: 20
		    loop_wait: 5
		    retry_timeout: 5
		    synchronous_mode: true
		    postgresql:
		      use_pg_rewind: true
		      parameters: {max_connections: 120, password_encryption: scram-sha-256, wal_log_hints: "on"}
		  initdb: [data-checksums, {encoding: UTF8}, {locale: C.UTF-8}]
		postgresql:
		  listen: $address,127.0.0.1:$sql_port
		  connect_address: $address:$sql_port
		  data_dir: /opt/pgdata/orders
		  bin_dir: $bin
		  authentication:
		    superuser: {username: dba, password: $admin_password}
		    replication: {username: copier, password: $repl_password}
		  parameters: {unix_socket_directories: /run/postgresql}
		  pg_hba:
		    - local all all scram-sha-256
		    - host all all 127.0.0.1/32 scram-sha-256
		    - host all all samenet md5
		    - host replication copier samenet md5
	END
    # The unit of the package does not start again what was killed, and a machine that lost its power must come back.
    install -d /etc/systemd/system/patroni@.service.d
    printf '[Service]\nRestart=always\n' >/etc/systemd/system/patroni@.service.d/site.conf
}

edge() {
    install -m 600 /dev/null /etc/haproxy/orders.cfg
    cat >/etc/haproxy/orders.cfg <<-END
		global
		    user haproxy
		    group haproxy
		    maxconn 1000
		defaults
		    mode tcp
		    timeout connect 2s
		    timeout client 1h
		    timeout server 1h
		    timeout check 2s
		    default-server port $rest_port inter 1s fall 3 rise 2 on-marked-down shutdown-sessions
		frontend orders_in
		    bind :15432
		    default_backend orders_rw
		backend orders_rw
		    option httpchk GET /primary
		$(members "    server sql-%s %s:$sql_port check\n")
		frontend reports_in
		    bind :15433
		    default_backend orders_ro
		backend orders_ro
		    balance leastconn
		    option httpchk GET /replica
		$(members "    server sql-%s %s:$sql_port check\n")
		listen monitor
		    bind :9404
		    mode http
		    stats enable
		    stats uri /lb-status
		    stats auth viewer:$stats_password
	END
    cat >/etc/systemd/system/edge.service <<-END
		[Unit]
		Description=Entry to the databases
		After=network.target
		[Service]
		Type=notify
		ExecStart=/usr/sbin/haproxy -Ws -f /etc/haproxy/orders.cfg
		Restart=always
		[Install]
		WantedBy=multi-user.target
	END
}

packages
dcs
sql
[[ -z $balancer ]] || edge
systemctl daemon-reload
systemctl enable --now --no-block --quiet dcs.service patroni@orders.service ${balancer:+edge.service}
