# Holdfast: what you can ask for. Every target that runs something sets up first (a moment, once all is installed).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
HOLDFAST := .venv/bin/holdfast
DEMO := examples/dual-master-nginx/cluster.yaml
LAB := demo

.PHONY: help setup demo up down check test soak bench lock clean root

help: ## This list · 显示本列表
	@awk -F ' *## *' '/^[a-z]+:.*##/ {split($$1, name, ":"); printf "  make %-7s %s\n", name[1], $$2}' $(MAKEFILE_LIST)

setup: ## Install what is missing; starts and enables no service · 安装所缺的程序，不启动、不启用任何服务
	@scripts/setup

demo: root setup ## Run a two-balancer cluster here, break it, report to build/demo/ · 在本机跑起双主集群，逐一破坏，报告写入 build/demo/
	@mkdir -p build/demo
	$(HOLDFAST) rehearse $(DEMO) --report build/demo

up: root setup ## Keep the demo cluster running, with controller, agents and users · 启动演示集群（含控制器、代理与流量）并保持运行
	$(HOLDFAST) lab up $(DEMO) --lab $(LAB) --controller
	@printf '  %-82s %s\n' \
	  "$(HOLDFAST) lab exec --lab $(LAB) lb02 ip -brief address" "any command inside a node" \
	  "$(HOLDFAST) lab exec --lab $(LAB) client curl -sH 'Host: www.example.com' 10.0.0.3" "what a user sees" \
	  "$(HOLDFAST) lab fault --lab $(LAB) crash lb01" "break something; --heal mends it" \
	  "tail -f /run/holdfast-lab/$(LAB)/log/traffic.log" "what users have asked, and what failed" \
	  "make down" "take it down"

down: root setup ## Take the demo cluster down · 拆除演示集群
	$(HOLDFAST) lab down $(LAB)

check: setup ## Style, types, unit tests, golden files (2 to 2½ min) · 代码风格、类型、单元测试与基准文件（2 至 2 分半钟）
	@$(PYTHON) scripts/run_stages.py check

test: root ## Everything that CI runs (about 25 min): every kind of test, one rehearsal per data plane, 20 kills · CI 的全部内容（约 25 分钟）：各类测试，每种数据面演练一次，杀 20 次
	@scripts/setup --test
	@$(PYTHON) scripts/run_stages.py test

soak: root setup ## The full counts, in hours: the other rehearsals, 200 kills, long runs · 补足次数（数小时）：其余演练、杀 200 次、长时间运行
	@$(PYTHON) scripts/run_stages.py soak

bench: root setup ## Times that are promised, taken in a virtual machine with IPVS · 在带 IPVS 的虚拟机中测量承诺的指标
	@$(PYTHON) -m scripts.benches

lock: setup ## Renew requirements.lock after a change in pyproject.toml · 依赖有变后重新生成 requirements.lock
	@scripts/lock

clean: ## Remove what was built (not .venv) · 删除构建产物（保留 .venv）
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

root:
	@[ "$$(id -u)" = 0 ] || { echo "make $(firstword $(MAKECMDGOALS)): this needs root, because it makes network namespaces and mounts; run it again as root (sudo make $(firstword $(MAKECMDGOALS)))." >&2; exit 1; }
