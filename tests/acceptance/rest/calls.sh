# What both scripts do: log in, ask the management plane, wait for operations and jobs, find the default datastore.
set -euo pipefail

# token_for RESOURCE: as a service principal logs in.
token_for() {
  curl --silent --show-error --fail-with-body --request POST "$HOST/$TENANT/oauth2/token" \
    --data-urlencode grant_type=client_credentials --data-urlencode "client_id=$CLIENT_ID" \
    --data-urlencode "client_secret=$CLIENT_SECRET" --data-urlencode "resource=$1" | jq -r '.access_token'
}

TOKEN=$(token_for "$HOST/")
SCORING_TOKEN=$(token_for https://ml.azure.com)

WORKSPACE_URL="$HOST/subscriptions/$SUBSCRIPTION_ID/resourceGroups/$RESOURCE_GROUP/providers/Microsoft.MachineLearningServices/workspaces/$WORKSPACE"

# management METHOD PATH?QUERY [BODY]
management() {
  curl --silent --show-error --fail-with-body --location --request "$1" "$WORKSPACE_URL/$2" \
    --header "Authorization: Bearer $TOKEN" --header "Content-Type: application/json" ${3:+--data-raw "$3"}
}

# wait_for_completion URL TOKEN: until an operation or a job is in a final state.
wait_for_completion() {
  local status=unknown result
  for _ in $(seq 1 600); do
    result=$(curl --silent --show-error --fail-with-body --location "$1" --header "Authorization: Bearer $2")
    status=$(jq -r '.status // .properties.status' <<< "$result")
    case $status in
      Succeeded | Completed) echo "$status"; return 0 ;;
      Failed | Canceled) echo "$status: $(jq -c '.error // .properties.error' <<< "$result")"; return 1 ;;
    esac
    sleep 0.2
  done
  echo "still $status"
  return 1
}

# operation_of ANSWER: waits for what a PUT has started, as its body says.
operation_of() {
  local uri
  uri=$(jq -r '.properties.properties.AzureAsyncOperationUri' <<< "$1")
  [[ $uri == "$HOST"/* ]]
  wait_for_completion "$uri" "$TOKEN"
}

# default_datastore API_VERSION: sets DATASTORE_ID, DATASTORE, CONTAINER, ACCOUNT and CONTAINER_URL.
default_datastore() {
  local found
  found=$(management GET "datastores?api-version=$1&isDefault=true")
  DATASTORE_ID=$(jq -r '.value[0].id' <<< "$found")
  DATASTORE=$(jq -r '.value[0].name' <<< "$found")
  CONTAINER=$(jq -r '.value[0].properties.containerName' <<< "$found")
  ACCOUNT=$(jq -r '.value[0].properties.accountName' <<< "$found")
  # Where the server is no name of its own, the account is the first folder of its address.
  CONTAINER_URL="$HOST/$ACCOUNT/$CONTAINER"
}

# invoke BODY [HEADER]: sets JOB to the name of the job, which is what follows the last slash of its id.
invoke() {
  local answer id
  answer=$(curl --silent --show-error --fail-with-body --location --request POST "$SCORING_URI" \
    --header "Authorization: Bearer $SCORING_TOKEN" --header "Content-Type: application/json" \
    ${2:+--header "$2"} --data-raw "$1")
  id=$(jq -r '.id' <<< "$answer")
  [[ $id == /* ]]
  JOB=${id##/*/}
}

finished() {
  wait_for_completion "$SCORING_URI/$JOB" "$SCORING_TOKEN"
}
