# The line sequence of 2026. $DATA is a folder of files, $FILE one file.
set -e
ENDPOINT_NAME=batch-$RANDOM

az account set --subscription 00000000-0000-0000-0000-000000000000
az configure --defaults workspace=default group=default location=local
GROUP=$(az configure -l --query "[?name=='group'].value" -o tsv)
[[ $GROUP == default ]]

check() {
  STATUS=$(az ml job show -n $1 --query status -o tsv)
  echo $STATUS
  if [[ $STATUS == "Completed" ]]; then
    echo "Job completed"
  elif [[ $STATUS == "Failed" ]]; then
    echo "Job failed"; exit 1
  else
    echo "Job status not failed or completed"; exit 2
  fi
}

az ml compute create -n batch-cluster --type amlcompute --min-instances 0 --max-instances 5
az ml batch-endpoint create --file endpoints/batch/endpoint-2026.yml --name $ENDPOINT_NAME
az ml batch-deployment create --file endpoints/batch/nonmlflow-deployment-2026.yml --endpoint-name $ENDPOINT_NAME
az ml batch-endpoint update --name $ENDPOINT_NAME --set defaults.deployment_name=nonmlflowdp
az ml batch-endpoint show --name $ENDPOINT_NAME
az ml batch-deployment show --name nonmlflowdp --endpoint-name $ENDPOINT_NAME

JOB_NAME=$(az ml batch-endpoint invoke --name $ENDPOINT_NAME --input $DATA --input-type uri_folder --query name -o tsv)
az ml job show -n $JOB_NAME --web
az ml job stream -n $JOB_NAME
check $JOB_NAME
az ml job download --name $JOB_NAME --output-name score --download-path $DOWNLOADS/first

az ml data create --name digits --version 1 --type uri_folder --path $DATA
JOB_NAME=$(az ml batch-endpoint invoke --name $ENDPOINT_NAME --input azureml:digits@latest --query name -o tsv)
az ml job stream -n $JOB_NAME
check $JOB_NAME

OUTPUT_FILE_NAME=predictions_$RANDOM.csv
JOB_NAME=$(az ml batch-endpoint invoke --name $ENDPOINT_NAME --input $DATA --input-type uri_folder --output-path azureml://datastores/workspaceblobstore/paths/$ENDPOINT_NAME --set output_file_name=$OUTPUT_FILE_NAME --mini-batch-size 20 --instance-count 5 --query name -o tsv)
az ml job stream -n $JOB_NAME
check $JOB_NAME
az ml job download --name $JOB_NAME --download-path $DOWNLOADS/second
mv $DOWNLOADS/second/$OUTPUT_FILE_NAME $DOWNLOADS/second/predictions.csv

az ml batch-deployment list-jobs --name nonmlflowdp --endpoint-name $ENDPOINT_NAME --query [].name
az ml batch-endpoint list-jobs --name $ENDPOINT_NAME --query [].name -o tsv

az ml batch-deployment create --file endpoints/batch/second-deployment-2026.yml --endpoint $ENDPOINT_NAME
JOB_NAME=$(az ml batch-endpoint invoke --name $ENDPOINT_NAME --deployment-name mlflowdp --input $FILE --input-type uri_file --query name -o tsv)
az ml job stream -n $JOB_NAME
check $JOB_NAME

az ml batch-endpoint update --name $ENDPOINT_NAME --set defaults.deployment_name=mlflowdp
JOB_NAME=$(az ml batch-endpoint invoke --name $ENDPOINT_NAME --input $FILE --input-type uri_file --query name -o tsv)
az ml job stream -n $JOB_NAME
check $JOB_NAME
az ml job download --name $JOB_NAME --download-path $DOWNLOADS/last

# A script of 2026 deletes one that never was.
az ml batch-deployment delete --name nonmlflowdp --endpoint-name $ENDPOINT_NAME --yes
az ml batch-deployment delete --name nonmlflowdp --endpoint-name $ENDPOINT_NAME --yes
az ml batch-endpoint delete --name $ENDPOINT_NAME --yes
az ml job show -n $JOB_NAME --query status -o tsv
