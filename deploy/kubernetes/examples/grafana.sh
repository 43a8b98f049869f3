#!/usr/bin/env bash
# Gives Baton's dashboard to the Grafana of kube-prometheus-stack, whose sidecar reads ConfigMaps with the label `grafana_dashboard`:
#
#   deploy/kubernetes/examples/grafana.sh [NAMESPACE] | kubectl apply -f -
set -euo pipefail
folder=$(cd "$(dirname "$0")/../../grafana" && pwd)
kubectl create configmap baton-dashboard --namespace "${1:-monitoring}" --from-file="$folder/baton.json" --dry-run=client --output=yaml |
  kubectl label --local --filename - --dry-run=client --output=yaml grafana_dashboard=1
