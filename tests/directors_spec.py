"""Two directors with two virtual servers before the same two machines; a pool whose server no director knows."""

from __future__ import annotations

SPEC = """
holdfast: 1
cluster: shop
networks:
  front: {cidr: 10.9.0.0/24}
nodes:
  lb01: {interfaces: {eth0: 10.9.0.5}}
  lb02: {interfaces: {eth0: 10.9.0.6}}
  rs01: {interfaces: {eth0: 10.9.0.21}}
  rs02: {interfaces: {eth0: 10.9.0.22}}
vrrp:
  www: {addresses: [10.9.0.3/24], nodes: [lb01, lb02], vrid: 51}
pools:
  app: {servers: ['10.9.0.99:8080']}
virtual_servers:
  shop: {on: 'www:80', forward: dr, servers: ['rs01:80', 'rs02:80']}
  api: {on: 'www:443', forward: dr, servers: ['rs01:443', 'rs02:443']}
"""
